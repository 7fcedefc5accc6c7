import { enumerationSuite } from './enumeration-suite.js';
import { historyScenarios } from './history-scenarios.js';

enumerationSuite(
  ['weakest', 'ordered', 'strict'],
  { exhaustiveMax: 128, samples: 40 },
  { what: ': history', scenarios: historyScenarios },
);
