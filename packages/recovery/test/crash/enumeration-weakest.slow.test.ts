import { enumerationSuite } from './enumeration-suite.js';

enumerationSuite(['weakest'], { exhaustiveMax: 32_768, samples: 2000 });
