/** The whole surface of `@forewrit/context`. */

export {
  ContextManager,
  type ContextManagerOptions,
  type ContextSaveOptions,
  type StampedMetadata,
} from './context-manager.js';
export { contextFileNames, type ContextPart, type ContextPath } from './context-files.js';
export type { ContextStamp } from './context-json.js';
