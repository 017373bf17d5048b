/** Makes JSON.parse return `unknown` instead of `any`: a caller has to check the value first, see shape.ts. */
interface JSON {
  parse(text: string, reviver?: (this: unknown, key: string, value: unknown) => unknown): unknown;
}
