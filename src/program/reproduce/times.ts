import type { StepWork } from '../../compile/index.ts'
import type { MethodName } from '../../tune/index.ts'
import { papers } from './regime.ts'
import type { Reproduction, Row } from './reproduction.ts'
import { affineWork, plainRoofline, secondsOf, withLaunches, type Measured, type Roofline } from './roofline.ts'
import { knownStep } from './step.ts'

/** The times of the paper: Figure 2, and the times of other tables and figures. */

/**
 * The milliseconds of a forward and a backward pass of LLaMA3-8B at rank 8 and 512 tokens a row on an A100, for batches
 * of 1, 2, 3, …: the raw measurements behind Figure 3, `throughput/*_results.txt` in the history of the authors' code.
 */
const milliseconds: Readonly<Partial<Record<MethodName, readonly number[]>>> = {
  paca: [
    141.946, 237.241, 323.963, 421.573, 503.879, 613.714, 728.27, 791.916, 900.991, 970.083, 1082.723, 1190.106,
    1262.121, 1383.049, 1458.66, 1557.563, 1672.907, 1736.893, 1833.67,
  ],
  moslora: [
    196.958, 298.539, 399.976, 509.038, 603.273, 727.145, 853.281, 931.736, 1052.757, 1132.422, 1254.592, 1373.317,
    1454.534, 1587.1, 1661.039,
  ],
  dora: [441.256, 638.087, 808.04, 1001.366, 1163.153, 1379.933, 1603.136, 1725.927, 1939.812],
}
const seq = 512

/** A function that computes each of its results once in a process. */
const once = <K, V>(of: (key: K) => V): ((key: K) => V) => {
  const known = new Map<K, V>()
  return key => {
    const made = known.get(key) ?? of(key)
    known.set(key, made)
    return made
  }
}

const workOfBatches = once(async (method: MethodName): Promise<(batch: number) => StepWork> => {
  const targets =
    method === 'full' ? { targetModules: 'all' as const } : { targetModules: 'all-linear' as const, rank: 8 }
  const step = await knownStep({ model: 'llama3-8b', method, ...targets })
  const [one, two] = [1, 2].map(batch => step.work({ batch, seq }, papers)) as [StepWork, StepWork]
  return affineWork(one, two)
})
/** The measured steps of a method, by batch, in their order. */
const measuredOf = async (method: MethodName): Promise<readonly Measured[]> => {
  const work = await workOfBatches(method)
  return (milliseconds[method] ?? []).map((ms, i) => ({ work: work(i + 1), seconds: ms / 1000 }))
}

/** The rooflines of the paper's A100. */
interface Devices {
  readonly plain: Roofline
  readonly launching: Roofline
}
/** The row that the two constants of a roofline are fitted on, at its least and most; and that of the third constant. */
const [fittedOn, launchOn] = ['paca', 'moslora'] as const
/** The rooflines of the paper's A100. */
export const paperDevices = once(async (): Promise<Devices> => {
  const [row, other] = [await measuredOf(fittedOn), await measuredOf(launchOn)]
  const ends = [row[0]!, row.at(-1)!] as const
  return { plain: plainRoofline(ends), launching: withLaunches(ends, other.at(-1)!) }
}) as () => Promise<Devices>

const constants = ({ flops, bytes, launch }: Roofline): string =>
  `${(flops / 1e12).toFixed(0)} TFLOP/s, ${(bytes / 1e12).toFixed(2)} TB/s${launch > 0 ? ` and ${(launch * 1e6).toFixed(1)} µs a kernel` : ''}`
/** The sentences about the rooflines. */
export const aboutTimes = ({ plain, launching }: Devices): readonly string[] => [
  `seconds: each kernel takes as long as its operations or its bytes, and a launch: ${constants(launching)}, fitted on three of the authors' 43 measured iterations: PaCA's at batch 1 and 19, and MosLoRA's at batch 15; the others test it`,
  `rooflineSeconds: the same without launches, fitted on PaCA's two alone: ${constants(plain)}; an A100 has at most 312 TFLOP/s and 2.04 TB/s, so no roofline without launches fits`,
  'forward and backward pass alone: no optimizer, no data',
]

const percent = (of: number): string => `${(100 * of).toFixed(1)} %`
/** The largest error of a model of a device over measured steps. */
const worst = (measured: readonly Measured[], device: Roofline): number =>
  measured
    .map(({ work, seconds }) => secondsOf(work, device).whole / seconds - 1)
    .reduce((most, error) => (Math.abs(error) > Math.abs(most) ? error : most), 0)

/** The columns of Figure 3 about time: the iteration at the largest measured batch, and the worst error of all batches. */
export const throughputOf = async (method: MethodName): Promise<Row> => {
  const { launching, plain } = await paperDevices()
  const measured = await measuredOf(method)
  const { work, seconds: paperSeconds } = measured.at(-1)!
  const { whole } = secondsOf(work, launching)
  return {
    seconds: whole,
    paperSeconds,
    timeDifference: whole / paperSeconds - 1,
    worstTimeDifference: worst(measured, launching),
    worstRooflineDifference: worst(measured, plain),
  }
}

/** The columns about the time of a step, and its error if the paper states it. */
export const timesOf = (work: StepWork, { launching, plain }: Devices, paperSeconds: number | undefined) => {
  const [seconds, rooflineSeconds] = [secondsOf(work, launching).whole, secondsOf(work, plain).whole]
  return paperSeconds === undefined
    ? { seconds, rooflineSeconds }
    : {
        seconds,
        paperSeconds,
        timeDifference: seconds / paperSeconds - 1,
        rooflineSeconds,
        rooflineDifference: rooflineSeconds / paperSeconds - 1,
      }
}

/** The H200's operations and bytes a second, in those of an A100 of 80 GB, as their maker states them. */
const h200 = { flops: 989 / 312, bytes: 4.8 / 2.039 }

/** Figure 2: operations and times of the passes. */
export const fig2 = async (): Promise<Reproduction> => {
  const devices = await paperDevices()
  const { launching } = devices
  const faster = { ...launching, flops: h200.flops * launching.flops, bytes: h200.bytes * launching.bytes }
  const batch = 2
  const rows: Row[] = []
  for (const method of ['full', 'lora', 'dora', 'moslora', 'paca'] as const) {
    const work = (await workOfBatches(method))(batch)
    const ours = secondsOf(work, launching)
    const paper = milliseconds[method]?.[batch - 1]
    rows.push({
      method,
      forwardFlops: work.forward.flops,
      backwardFlops: work.backward.flops,
      kernels: work.forward.kernels.length + work.backward.kernels.length,
      forwardSeconds: ours.forward,
      backwardSeconds: ours.backward,
      ...timesOf(work, devices, paper === undefined ? undefined : paper / 1000),
      h200Seconds: secondsOf(work, faster).whole,
    })
  }
  const [, lora, , , paca] = rows as [Row, Row, Row, Row, Row]
  const less = (key: string): number => 1 - Number(paca[key]) / Number(lora[key])
  return {
    title: 'Figure 2: operations and times of the passes of LLaMA3-8B at rank 8 and 2 × 512 tokens',
    says: [
      'no checkpointing, no chunked loss, no dropout; bf16, fused attention, transformers and PEFT of 2024',
      "flops: of the matrix products, exactly as PyTorch's FlopCounterMode counts them; PaCA's are a third less than full fine-tuning's, and hardly less than LoRA's",
      ...aboutTimes(devices),
      "paperSeconds: the authors' raw measurements; they have none of LoRA and full fine-tuning, and none of a pass alone",
      `PaCA takes ${percent(less('seconds'))} less time than LoRA here, with ${percent(1 - Number(paca['kernels']) / Number(lora['kernels']))} fewer kernels; the paper claims 22 % less`,
      'h200Seconds: with the operations and bytes a second of an H200 as far as its maker states more than for an A100, and the same time of a launch; nothing there is measured',
    ],
    rows,
  }
}
