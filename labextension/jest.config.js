// The logic only: what touches JupyterLab is tested in a browser, by tests/labextension.
module.exports = {
  roots: ['<rootDir>/src'],
  testRegex: '\\.spec\\.ts$',
  transform: {
    '^.+\\.ts$': [
      'ts-jest',
      {
        tsconfig: {
          isolatedModules: true,
          module: 'commonjs',
          strict: true,
          target: 'ES2020'
        }
      }
    ]
  }
};
