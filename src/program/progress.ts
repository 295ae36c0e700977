import cliProgress from 'cli-progress'
import { recomputation } from '../compile/index.ts'
import { bytesText, oneLine, printable } from '../text/index.ts'
import type { FinetuneEvent, ResumedEvent, StartEvent } from './events.ts'
import { goingOn } from './resume.ts'
import { countOf } from './follow/follower.ts'
import type { StepEvent } from '../train/finetune.ts'

/** The output of a program: results on `out`, progress and warnings on `err`. */
export interface Terminal {
  readonly out: { write(text: string): unknown }
  readonly err: { write(text: string): unknown; readonly isTTY?: boolean }
}

/** Seconds in a readable form. @example showSeconds(75) // 1:15 */
export const showSeconds = (seconds: number): string => {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}

/** The figures next to a bar: loss, tokens per second, time left, memory of the process. */
interface Shown {
  readonly loss: string
  readonly speed: string
  readonly left: string
  readonly memory: string
}

/** A step over any kind of examples. */
type AnyStep = StepEvent | StepEvent<'images'>
/** Computes speed and time left from the last few steps, without the first one, which compiles. */
const meter = (steps: number): ((step: AnyStep) => Shown) => {
  const recent: AnyStep[] = []
  return step => {
    recent.push(step)
    if ((recent.length > 1 && recent[0]!.step === 1) || recent.length > 10) recent.shift()
    const seconds = recent.reduce((sum, s) => sum + s.seconds, 0)
    const count = recent.reduce((sum, s) => sum + countOf(s)[0], 0)
    return {
      loss: step.loss.toFixed(4),
      speed: `${(count / seconds).toFixed(count < 10 * seconds ? 1 : 0)} ${countOf(step)[1]}/s`,
      left: showSeconds(((steps - step.step) * seconds) / recent.length),
      memory: bytesText(process.memoryUsage.rss()),
    }
  }
}

/** A display of steps: a bar on a terminal, some fifty plain lines anywhere else. */
export interface StepDisplay {
  show(step: AnyStep): void
  stop(): void
}

/**
 * Shows steps as they are made: number, loss, scored tokens or images per second, time left, the bytes of the plan and
 * of the process.
 * @example const display = stepDisplay(process.stderr, 200, 726e6)
 */
export const stepDisplay = (err: Terminal['err'], steps: number, plan: number): StepDisplay => {
  const measure = meter(steps)
  if (err.isTTY !== true) {
    const every = Math.ceil(steps / 50)
    return {
      show: step => {
        const { loss, speed, left, memory } = measure(step)
        if (step.step % every === 0 || step.step === steps || step.step === 1) {
          err.write(
            `step ${step.step}/${steps}  loss ${loss}  lr ${Number(step.lr.toPrecision(3))}  ${speed}  ${left} left  plan ${bytesText(plan)}, process ${memory}\n`,
          )
        }
      },
      stop: () => undefined,
    }
  }
  // a terminal is a stream, but Node's name for that would make every user of these types need Node's types
  const bar = new cliProgress.SingleBar({
    format: '{bar} step {value}/{total}  loss {loss}  {speed}  {left} left  plan {plan}, process {memory}',
    barsize: 24,
    hideCursor: true,
    gracefulExit: false,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    stream: err as NodeJS.WriteStream,
  })
  bar.start(steps, 0, {
    plan: bytesText(plan),
    loss: '…',
    speed: '…',
    left: '…',
    memory: bytesText(process.memoryUsage.rss()),
  })
  return {
    show: step => {
      bar.update(step.step, measure(step))
    },
    stop: () => {
      bar.stop()
    },
  }
}

const number = (n: number): string => n.toLocaleString('en')
const counted = (n: number, what: string): string => `${number(n)} ${what}${n === 1 ? '' : 's'}`
const loss = (n: number | null): string => (n === null ? '' : n.toFixed(4))

/** The things that a loss was measured on. */
const heldOut = (of: Parameters<typeof countOf>[0]): string => {
  const [count, unit] = countOf(of)
  return `${number(count)} held-out ${unit}`
}

/** Metrics by name; those of classifiers are parts of the examples. */
const metricsText = (metrics: Readonly<Record<string, number>> = {}): string =>
  Object.entries(metrics)
    .map(([name, value]) => `, ${name} ${(100 * value).toFixed(2)} %`)
    .join('')

const resumedText = ({ step, from, finished }: ResumedEvent): string =>
  finished
    ? `the run had finished after step ${step}: there is nothing to go on with`
    : from === null
      ? 'there is no checkpoint: the run begins with its first step'
      : `going on after step ${step}, from ${printable(from)}`

/** The words for a run that has no adapter yet; it has a checkpoint if steps were made. */
const stoppedText = (checkpoint: string | undefined): string =>
  checkpoint === undefined ? 'stopped before the first step: nothing was saved' : printable(goingOn(checkpoint))

const startLines = (e: StartEvent): string =>
  `fine-tuning on ${e.target}: ${number(e.trainable)} of ${number(e.parameters)} parameters (${((100 * e.trainable) / e.parameters).toFixed(2)} %), ` +
  `${counted(e.rows, e.unit === 'images' ? 'image' : 'row')}, ${counted(e.steps, 'step')} of ${e.batch}${e.seq === undefined ? '' : ` × ${e.seq}`} ${e.unit}\n` +
  `memory: the plan of a step holds ${bytesText(e.bytes)} at most, and the process ${bytesText(e.process)} before it\n` +
  (e.instead === undefined ? '' : `the plan ${recomputation({ total: e.bytes, flops: e.flops }, e.instead)}\n`)

/**
 * Reports a run to people: progress on standard error, results on standard output. Call `stop` at the end of the run,
 * whatever the outcome.
 * @example const report = humanReport(terminal); for await (const event of finetune(options)) report.show(event)
 */
export const humanReport = ({
  out,
  err,
}: Terminal): { readonly show: (event: FinetuneEvent) => void; readonly stop: () => void } => {
  let display: StepDisplay | undefined
  let steps = 0
  let plan = 0
  let last: string | undefined
  const stop = (): void => {
    display?.stop()
    display = undefined
  }
  return {
    stop,
    show: event => {
      switch (event.event) {
        case 'resumed':
          if (event.from !== null) last = event.from
          err.write(`${resumedText(event)}\n`)
          break
        case 'warning':
          err.write(`warning: ${oneLine(event.message)}\n`)
          break
        case 'selected':
          err.write(`columns selected by ${event.by} in ${showSeconds(event.seconds)}\n`)
          break
        case 'start':
          steps = event.steps
          plan = event.bytes
          err.write(startLines(event))
          break
        case 'evaluated':
          stop()
          err.write(
            `loss on ${heldOut(event)} ${event.when} training: ${loss(event.loss)}${metricsText(event.metrics)}\n`,
          )
          break
        case 'step':
          ;(display ??= stepDisplay(err, steps, plan)).show(event)
          break
        case 'done':
          stop()
          if (event.interrupted) err.write(`interrupted after step ${event.steps}\n`)
          if (event.evalLossAfter !== null)
            out.write(
              `held-out loss ${loss(event.evalLossBefore)} → ${loss(event.evalLossAfter)}${metricsText(event.evalMetricsAfter)}\n`,
            )
          out.write(
            event.adapter === null
              ? `${stoppedText(event.checkpoint ?? last)}\n`
              : `adapter saved in ${printable(event.adapter)} (${number(event.trainable)} trained parameters)\n`,
          )
      }
    },
  }
}

/** Reports a run to programs: a JSON line for every step and the end on standard output; warnings on standard error. */
export const jsonReport = ({
  out,
  err,
}: Terminal): { readonly show: (event: FinetuneEvent) => void; readonly stop: () => void } => ({
  stop: () => undefined,
  show: event => {
    if (event.event === 'warning') err.write(`warning: ${oneLine(event.message)}\n`)
    else if (event.event === 'step' || event.event === 'done' || event.event === 'resumed')
      out.write(`${JSON.stringify(event)}\n`)
  },
})
