/** What a store with directories holds that an overlay shows from its lower layer. */
export const directoryFiles = { a: 'old', 'top/below/file': 'old' };
