import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { growingFile } from '../../host/index.ts'
import { attempt, type IoError } from '../../text/index.ts'
import { countOf, type Followed, type Follower } from './follower.ts'

/** The figures of a step that follow from others: tokens or images per second. */
const speedOf = ({ event }: Followed): object => {
  if (event.event !== 'step') return {}
  const [count, unit] = countOf(event)
  return { [`${unit}PerSecond`]: count / event.seconds }
}

const lineOf = (followed: Followed): string => {
  const { event, step, memory, time } = followed
  return `${JSON.stringify({ ...event, step, ...speedOf(followed), memory, time: new Date(time).toISOString() })}\n`
}

/**
 * A new file with a JSON line for every event of a run: what `--json` prints, with speed, memory and time. Errors: there
 * is something with its name, its folder cannot be written.
 */
export const jsonlFollower = (path: string): TE.TaskEither<IoError, Follower> =>
  pipe(
    growingFile(path),
    TE.map(file => ({
      follow: followed => file.append(lineOf(followed)),
      close: () => attempt(path, file.close),
    })),
  )
