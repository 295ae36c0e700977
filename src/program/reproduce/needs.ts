/** The parts of a training run that a claim about memory needs to be so, or not so. */
export interface Needs {
  readonly dropout: string
  readonly checkpointing: string
  readonly chunkedLoss: string
}

/**
 * The regime that a claim needs, as a sentence.
 * @example needsText({ dropout: 'off', checkpointing: 'on', chunkedLoss: 'off' })
 */
export const needsText = ({ dropout, checkpointing, chunkedLoss }: Needs): string =>
  `the claim needs: dropout ${dropout}; checkpointing ${checkpointing}; chunked loss ${chunkedLoss}`
