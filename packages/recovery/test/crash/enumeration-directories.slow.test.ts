import { directoryScenarios } from './directory-scenarios.js';
import { enumerationSuite } from './enumeration-suite.js';

enumerationSuite(
  ['weakest', 'ordered', 'strict'],
  { exhaustiveMax: 8192, samples: 1000 },
  { what: ': directories', scenarios: directoryScenarios },
);
