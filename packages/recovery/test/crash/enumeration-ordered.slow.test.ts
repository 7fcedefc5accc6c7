import { enumerationSuite } from './enumeration-suite.js';

enumerationSuite(['ordered', 'strict'], { exhaustiveMax: 8192, samples: 300 });
