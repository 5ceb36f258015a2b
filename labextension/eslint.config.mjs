import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const RULES = {
  curly: 'error',
  eqeqeq: 'error',
  'prefer-arrow-callback': 'error'
};
const BROWSER = [
  'clearInterval',
  'document',
  'navigator',
  'requestAnimationFrame',
  'setInterval'
];

export default tseslint.config(
  {
    files: ['src/**/*.ts'],
    extends: [js.configs.recommended, tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: 'tsconfig.test.json' }
    },
    rules: {
      '@typescript-eslint/naming-convention': [
        'error',
        {
          selector: 'interface',
          format: ['PascalCase'],
          custom: { regex: '^I[A-Z]', match: true }
        }
      ],
      ...RULES
    }
  },
  {
    // The panels of a notebook: what the browser runs as it stands here, and in herd_tracking/live.
    files: ['**/static/*.js'],
    extends: [js.configs.recommended],
    languageOptions: {
      globals: Object.fromEntries(BROWSER.map(name => [name, 'readonly']))
    },
    rules: RULES
  }
);
