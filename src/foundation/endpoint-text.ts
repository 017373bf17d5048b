/**
 * A server or a listening address as the user writes it: `host:port`, `[::1]:port`, `tls://host:port`, `unix:/path`.
 */
export function endpoint_text({
  host,
  port,
  path,
  tls,
}: {
  host: string;
  port: number;
  path?: string;
  tls?: boolean;
}): string {
  if (path !== undefined) return `unix:${path}`;
  return `${tls ? 'tls://' : ''}${host.includes(':') ? `[${host}]` : host}:${port}`;
}
