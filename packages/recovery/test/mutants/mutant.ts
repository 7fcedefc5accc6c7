/** What a mutant is: a break of the protocol, and the test that notices. */

/** A change of the compiled code. White space in a snippet stands for any. */
export interface Edit {
  readonly snippet: string;
  readonly replacement: string;
}

/** The test that must fail. */
export interface Killer {
  /** `<package>/<name>`, without `.test`. */
  readonly file: string;
  readonly test: string;
}

export interface Mutant {
  readonly name: string;
  /** What goes wrong, in a sentence. */
  readonly breaks: string;
  readonly package: 'core' | 'recovery';
  readonly edits: readonly Edit[];
  readonly killer: Killer;
}
