import { keepHeapSmall } from '../src/cli/heap.ts'
import type { Measurement } from './measurement.ts'

/** The measurements that a child process offers; each loads only its own modules, so that its memory is its own. */
const tasks = {
  'small': async () => (await import('./tasks/small.ts')).timeSmall,
  'vision': async () => (await import('./tasks/vision.ts')).timeImages,
  'step': async () => (await import('./tasks/step.ts')).timeStep,
  'plan': async () => (await import('./tasks/plan.ts')).timePlan,
  'products': async () => (await import('./tasks/products.ts')).timeProducts,
  'image-products': async () => (await import('./tasks/image-products.ts')).timeImageProducts,
  'image-step': async () => (await import('./tasks/image-step.ts')).timeImageStep,
  'profile': async () => (await import('./tasks/profile.ts')).profileStep,
  'certificate': async () => (await import('./tasks/certificate.ts')).checkCertificate,
  'descent': async () => (await import('./tasks/descent.ts')).followDescent,
  'steadiness': async () => (await import('./tasks/steadiness.ts')).checkSteadiness,
  'graph-size': async () => (await import('./tasks/graph-size.ts')).measureGraph,
  'digits-pretrain': async () => (await import('./tasks/digits.ts')).pretrainViT,
  'digits-tune': async () => (await import('./tasks/digits.ts')).fineTuneDigits,
  'digits-start': async () => (await import('./tasks/digits.ts')).startDigits,
  'digits-step': async () => (await import('./tasks/digits.ts')).timeDigits,
  'raw-tfjs': async () => (await import('./peers/raw-tfjs.ts')).rawTfjs,
  'small-tfjs': async () => (await import('./peers/small-tfjs.ts')).smallTfjs,
}
/** Every task with its options. */
export type Tasks = { readonly [K in keyof typeof tasks]: Parameters<Awaited<ReturnType<(typeof tasks)[K]>>>[0] }

// as the command line does
keepHeapSmall()
const [name, options] = process.argv.slice(2)
// the parent passes a task with its own options: see `ours` in measure.ts
const task = (await tasks[name as keyof Tasks]()) as (options: unknown) => Promise<Measurement>
console.log(JSON.stringify(await task(JSON.parse(options ?? '{}'))))
