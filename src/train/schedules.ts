/** Learning rates over the updates of a run, for the `lr` of an optimizer. */
export { constant, cosine, exponential, join, linear, piecewise, polynomial, warmupCosine } from '../tune/index.ts'
export { rateAt, runSchedule } from './run-schedule.ts'
