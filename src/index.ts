/** The public interface: what protocol authors import from 'swarm', and nothing else. */
export type { FakeClient, Random } from './protocols/client.ts';
export type { Framer, FunctionParser, Matcher, Parser } from './protocols/parser.ts';
export type { ModuleLog, Server } from './protocols/module.ts';
export { fixed, length_prefixed, line, until_close } from './protocols/framers.ts';
export { match } from './protocols/matcher.ts';
export { reply_parser_crlf } from './protocols/crlf.ts';
export { wrong_reply } from './protocols/parser.ts';
