import type * as TE from 'fp-ts/lib/TaskEither.js'
import { checkReplaceable, replaceFile } from '../../host/index.ts'
import { attempt, orThrow, type IoError } from '../../text/index.ts'
import { noRun, runAfter, runPage } from '../page/run-page.ts'
import type { Follower } from './follower.ts'

/** The milliseconds between two writings of a page while steps are made. */
const between = 2000

/**
 * A page that is kept up to date while a run goes on: each time it is replaced as a whole. Errors: it cannot be written.
 */
export const pageFollower = (path: string, subject: string): TE.TaskEither<IoError, Follower> =>
  attempt(path, async () => {
    let run = noRun(subject)
    let written = 0
    const write = async (ended: boolean): Promise<void> => {
      await orThrow(replaceFile(path, await runPage(run, ended)))
      written = performance.now()
    }
    await orThrow(checkReplaceable(path))
    await write(false)
    return {
      follow: followed =>
        attempt(path, async () => {
          run = runAfter(run, followed)
          if (followed.event.event !== 'step' || performance.now() - written > between) await write(false)
        }),
      close: () => attempt(path, () => write(true)),
    }
  })
