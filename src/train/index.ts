/** The pure training step, and what goes around it. */
export { trainStep } from './step.ts'
