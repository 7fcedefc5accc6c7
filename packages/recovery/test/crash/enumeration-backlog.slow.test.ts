import { backlogScenarios } from './backlog-scenarios.js';
import { enumerationSuite } from './enumeration-suite.js';

enumerationSuite(
  ['weakest', 'ordered', 'strict'],
  { exhaustiveMax: 512, samples: 100 },
  { what: ': what is made durable later', scenarios: backlogScenarios },
);
