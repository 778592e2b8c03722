// Strict type-aware linting. Svelte files are checked by svelte-check instead.
import tseslint from 'typescript-eslint';

// The layers client < jsmpeg < player, plot < app: no folder imports from one above it.
const LAYERS = [
  { folder: 'client', above: ['player', 'plot', 'jsmpeg', 'app'] },
  { folder: 'player', above: ['plot', 'app'] },
  { folder: 'plot', above: ['player', 'jsmpeg', 'app'] },
  { folder: 'jsmpeg', above: ['player', 'plot', 'app'] },
];

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', 'build/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      // Numbers are readable in messages; only objects and undefined are mistakes there.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // One-line handlers are clearer without braces around a call that returns nothing.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  ...LAYERS.map(({ folder, above }) => ({
    files: [`${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(${[...above, 'e2e', 'bench'].join('|')})/`,
              message: `${folder}/ imports only from itself and from lower layers.`,
            },
          ],
        },
      ],
    },
  })),
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
);
