import type { Explanation } from '../../compile/index.ts'
import { bytesText } from '../../text/index.ts'
import { chart, full, key } from './chart.ts'
import { courseSpec, fullestOf, kinds, totalAt } from './course-spec.ts'
import { markup, type Html } from './html.ts'
import { section } from './shell.ts'

/** The memory over a step, or why there is no picture of it. */
export const courseSection = async ({
  course,
  weights,
  state,
}: Pick<Explanation, 'course' | 'weights' | 'state'>): Promise<Html> => {
  if (course === undefined || course.moments.length === 0)
    return markup`<p class="note">
      This target runs a step as one graph, in an order of its own: there is no course of its memory.
    </p>`
  const floor = { weights, state }
  const fullest = fullestOf(floor, course)
  const amounts = { ...floor, ...fullest }
  const where = fullest.at <= course.loss ? 'forward' : 'backward'
  const title = `The step is fullest in its ${where} pass, at ${bytesText(totalAt(floor, fullest))}`
  const says = `Memory over a step: ${kinds.map(kind => `${kind} ${bytesText(amounts[kind])}`).join(', ')} at its fullest`
  return section(
    title,
    markup`<p class="note">
      In the order of the plan. Kept: made before the loss is known, and read after it. Passing: read soon after it is
      made.
    </p>`,
    await chart(says, full, courseSpec(course, floor)),
    key(kinds.map(kind => ({ colour: kind, name: kind, value: bytesText(amounts[kind]) }))),
    markup`<p class="note">The figures beside the names are those of the fullest moment.</p>`,
  )
}
