/**
 * The type in which frozen weights and activations are held and multiplied. Trained parts, their state, sums and losses
 * are always float32.
 */
export type Precision = 'f32' | 'bf16' | 'f16'
/** The names of all precisions. */
export const precisions: readonly Precision[] = ['f32', 'bf16', 'f16']
