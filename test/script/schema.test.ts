import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { RANGES, SCRIPT_SCHEMA } from '../../src/script/schema.ts';

interface Described {
  title?: string;
  description?: string;
  default?: unknown;
  examples?: unknown[];
}

describe('SCRIPT_SCHEMA', () => {
  const action = SCRIPT_SCHEMA.definitions.action.properties;

  it('is a draft-07 schema by the strict rules, and its examples fit it', () => {
    const validate = new Ajv({ strict: true, strictRequired: false, allowUnionTypes: true }).compile(SCRIPT_SCHEMA);
    expect(SCRIPT_SCHEMA.$schema).toBe('http://json-schema.org/draft-07/schema#');
    for (const example of SCRIPT_SCHEMA.examples) expect(validate(example), JSON.stringify(validate.errors)).toBe(true);
  });

  it('describes everything for an editor', () => {
    const all: [string, Described][] = [
      ...Object.entries(SCRIPT_SCHEMA.properties),
      ...Object.entries(action),
    ] as never;
    for (const [name, { title, description }] of all) {
      expect(title, name).toBeTruthy();
      expect(description, name).toBeTruthy();
    }
  });

  it.each(Object.entries(action) as unknown as [string, Described][])(
    'the examples and the default of %s fit',
    (_, schema) => {
      const validate = new Ajv({ allowUnionTypes: true }).compile(schema);
      for (const each of [...(schema.examples ?? []), ...('default' in schema ? [schema.default] : [])])
        expect(validate(each)).toBe(true);
    },
  );

  it('says of no rounds what the docs say', () => {
    expect((action.rounds as Described).description).toContain('0 skips its rounds, not its sleep_after_action.');
  });

  it('has the defaults of the original', () => {
    expect(Object.fromEntries(Object.entries(RANGES).map(([key, rule]) => [key, rule.default]))).toEqual({
      rounds: 1,
      sleep_between_rounds: 1,
      sleep_after_action: 1,
      sleep_between_iterations: 0,
    });
  });
});
