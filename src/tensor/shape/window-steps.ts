/**
 * The zeros around an axis on which windows lie: so many at both ends; so many before and after; none (`valid`); or as
 * many as it takes that there are ⌈n / stride⌉ windows (`same`), of which an odd one is after, as in TensorFlow.
 */
export type WindowPadding = 'same' | 'valid' | number | readonly [before: number, after: number]

/** The way in which windows lie on an axis: their distance, and the distance of the places within one. */
export interface WindowSteps {
  readonly stride: number
  readonly dilation: number
  readonly padding: WindowPadding
}

/** The same, with what may be left out. */
export interface WindowOptions {
  /** The distance from one window to the next (default: 1). */
  readonly stride?: number
  /** The distance from one place of a window to the next (default: 1). */
  readonly dilation?: number
  /** The zeros around the axis (default: `valid`). */
  readonly padding?: WindowPadding
}
/** The steps that options specify. */
export const stepsOf = ({ stride = 1, dilation = 1, padding = 'valid' }: WindowOptions): WindowSteps => ({
  stride,
  dilation,
  padding,
})

/** The zeros before and after an axis. */
export const around = (padding: Exclude<WindowPadding, 'same'>): readonly [before: number, after: number] =>
  padding === 'valid' ? [0, 0] : typeof padding === 'number' ? [padding, padding] : padding

/** The windows on an axis of a known size: how many there are, and the zeros before and after them. */
export interface Windows {
  readonly count: number
  readonly before: number
  readonly after: number
}
/**
 * The windows of `k` places on an axis of `n`; none if a window is larger.
 * @example windowsOn(5, 3, { stride: 2, dilation: 1, padding: 'same' }) // { count: 3, before: 1, after: 1 }
 */
export const windowsOn = (n: number, k: number, { stride, dilation, padding }: WindowSteps): Windows => {
  const reach = dilation * (k - 1) + 1
  if (padding === 'same') {
    const count = Math.ceil(n / stride)
    const total = Math.max((count - 1) * stride + reach - n, 0)
    const before = Math.floor(total / 2)
    return { count, before, after: total - before }
  }
  const [before, after] = around(padding)
  return { count: Math.max(Math.floor((n + before + after - reach) / stride) + 1, 0), before, after }
}
