/** Learning rates over the updates of a run, for the `lr` of an optimizer. */
export {
  constant,
  cosine,
  exponential,
  interpolated,
  join,
  linear,
  oneCycle,
  piecewise,
  polynomial,
  restarts,
  slice,
  warmupConstant,
  warmupCosine,
  warmupExponential,
  warmupStableDecay,
} from '../tune/index.ts'
export { rateAt, runSchedule } from './run-schedule.ts'
