import { repeated, type Measurement, type Span } from '../measurement.ts'
import { smallPrograms, type SmallName, type Target } from '../small.ts'

/** Milliseconds of training steps of a small program on one of the targets, each with its report read back. */
export const timeSmall = async ({
  program,
  span,
  ...target
}: Target & { readonly program: SmallName; readonly span: Span }): Promise<Measurement> => {
  const open = smallPrograms[program].opening()
  const since = performance.now()
  await using session = await open(target)
  return await repeated(session.step, span, since)
}
