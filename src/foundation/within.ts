/**
 * `promise` with a deadline of `ms`. If it does not settle in time, the result is what `late` returns or throws. A
 * later rejection of `promise` is ignored, not unhandled.
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
