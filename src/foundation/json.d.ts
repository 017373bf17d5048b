/** What was parsed may be anything: whoever reads it checks it first, see shape.ts. Goes before the `any` of the language's own declaration. */
interface JSON {
  parse(text: string, reviver?: (this: unknown, key: string, value: unknown) => unknown): unknown;
}
