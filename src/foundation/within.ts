/** A promise with a deadline. */

/**
 * Settles as `promise` does, if it does within `ms`; then with what `late` returns or throws. What `promise` comes to after that is
 * nobody's concern: a rejection of it is not unhandled.
 */
export async function within<T, L>(promise: Promise<T>, ms: number, late: () => L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))).then(late);
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
