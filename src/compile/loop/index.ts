/** Writes equal layers as loops, for targets that run whole programs. */
export { peakIn, peakOf, type Measure } from './peak.ts'
export { outlined } from './outline.ts'
export { rolled, type Root } from './roll.ts'
export { familyOf, type Family } from './runs.ts'
export { familiesOf, variablesOf, type Variable, type Variables } from './variables.ts'
export { wholePrograms, type WholeOptions, type WholePrograms } from './whole.ts'
