import { enumerationSuite } from './enumeration-suite.js';
import { undoScenarios } from './undo-scenarios.js';

enumerationSuite(
  ['weakest', 'ordered', 'strict'],
  { exhaustiveMax: 512, samples: 100 },
  { what: ': what is taken back', scenarios: undoScenarios },
);
