import type { Pass, StepWork, Work } from '../../compile/index.ts'

/** The constants of a device: operations and bytes a second, and the seconds that it takes to launch a kernel. */
export interface Roofline {
  readonly flops: number
  readonly bytes: number
  readonly launch: number
}
/** A step that was measured: its kernels, and the seconds of its forward and backward pass. */
export interface Measured {
  readonly work: StepWork
  readonly seconds: number
}

const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0)
const kernelsOf = ({ forward, backward }: StepWork): readonly Work[] => [...forward.kernels, ...backward.kernels]
/** The seconds of some kernels, one after another: each takes as long as its operations or its bytes, and its launch. */
const secondsOfKernels = (kernels: readonly Work[], device: Roofline): number =>
  sum(kernels.map(({ flops, bytes }) => device.launch + Math.max(flops / device.flops, bytes / device.bytes)))

/** The seconds of the passes of a step on a device. @example secondsOf(work, device).whole */
export const secondsOf = ({ forward, backward }: StepWork, device: Roofline) => {
  const [ahead, back] = [secondsOfKernels(forward.kernels, device), secondsOfKernels(backward.kernels, device)]
  return { forward: ahead, backward: back, whole: ahead + back }
}

/** A root of a function that changes its sign between two numbers. */
const rootBetween = (of: (x: number) => number, from: number, to: number): number => {
  const sign = Math.sign(of(from))
  let [low, high] = [from, to]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (Math.sign(of(middle)) === sign) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** The most operations for each byte at which a device could still be said to be limited by both. */
const steepest = 1e5
/** The roofline through two measured steps, for a given time of a launch. */
const through = ([near, far]: readonly [Measured, Measured], launch: number): Roofline => {
  const [a, b] = [kernelsOf(near.work), kernelsOf(far.work)]
  // both in operations, for a ratio of the two constants
  const long = (kernels: readonly Work[], ridge: number): number =>
    sum(kernels.map(({ flops, bytes }) => Math.max(flops, ridge * bytes)))
  const [first, second] = [near.seconds - launch * a.length, far.seconds - launch * b.length]
  const ridge = rootBetween(of => long(a, of) * second - long(b, of) * first, 0, steepest)
  const flops = long(b, ridge) / second
  return { flops, bytes: flops / ridge, launch }
}

/** The two constants of a roofline through two measured steps, where launches take no time. */
export const plainRoofline = (measured: readonly [Measured, Measured]): Roofline => through(measured, 0)
/** The three constants through two measured steps, and through a third one, which has more kernels for its work. */
export const withLaunches = (measured: readonly [Measured, Measured], third: Measured): Roofline => {
  const sizeOf = ({ work, seconds }: Measured) => ({
    flops: work.forward.flops + work.backward.flops,
    kernels: kernelsOf(work).length,
    seconds,
  })
  const [near, far] = [sizeOf(measured[0]), sizeOf(measured[1])]
  // with longer launches, not even a device without a limit of bytes would meet both
  const longest =
    (near.seconds * far.flops - far.seconds * near.flops) / (near.kernels * far.flops - far.kernels * near.flops)
  const error = (launch: number): number => secondsOf(third.work, through(measured, launch)).whole - third.seconds
  return through(measured, rootBetween(error, 0, longest))
}

/**
 * The work of any batch, from that of batches of 1 and 2: that of each kernel is affine in the batch, as long as a batch
 * has fewer tokens than the vocabulary has words.
 */
export const affineWork =
  (one: StepWork, two: StepWork) =>
  (batch: number): StepWork => {
    const between = (a: Work, b: Work): Work => ({
      flops: a.flops + (batch - 1) * (b.flops - a.flops),
      bytes: a.bytes + (batch - 1) * (b.bytes - a.bytes),
    })
    const passOf = (a: Pass, b: Pass): Pass => ({
      ...between(a, b),
      kernels: a.kernels.map((kernel, i) => between(kernel, b.kernels[i]!)),
    })
    return { forward: passOf(one.forward, two.forward), backward: passOf(one.backward, two.backward) }
  }
