import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const NAMED_ONLY = { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' };
// what was parsed may be anything: foundation/shape.ts checks it. `const x: T = JSON.parse(…)` fails to compile (foundation/json.d.ts).
const PARSED = "CallExpression[callee.object.name='JSON'][callee.property.name='parse']";
const UNCHECKED = [
  `TSAsExpression > ${PARSED}`,
  `TSTypeAssertion > ${PARSED}`,
  "CallExpression[callee.property.name='json'][typeArguments]",
].map((selector) => ({
  selector,
  message: 'What was parsed may be anything: read it with a shape (foundation/shape.ts).',
}));

export default defineConfig(
  { ignores: ['dist', 'coverage', 'bench/.build', 'node_modules'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './test/tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      'prefer-const': 'error',
      eqeqeq: ['error', 'smart'],
      'no-restricted-syntax': ['error', NAMED_ONLY],
    },
  },
  { files: ['src/**'], rules: { 'no-restricted-syntax': ['error', NAMED_ONLY, ...UNCHECKED] } },
  { files: ['vitest.config.ts', 'test/closing-line.ts'], rules: { 'no-restricted-syntax': 'off' } },
);
