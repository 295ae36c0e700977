import type { ConvergenceCertificate } from './certificate-format.ts'
import { pictureSpec } from './picture-spec.ts'

/**
 * The picture of a certificate, an SVG: the loss and the bound by step; below them the slack (logarithmic, linear
 * around 0), with violations as red crosses; above them the rate, ηL and the outcome. Equal certificates give equal
 * texts. Vega draws it, and is loaded only when this is called.
 * @example await writeFile('certificate.svg', await certificatePicture(certificate))
 */
export const certificatePicture = async (certificate: ConvergenceCertificate): Promise<string> => {
  const { parse, View } = await import('vega')
  const view = new View(parse(pictureSpec(certificate)), { renderer: 'none' })
  try {
    return `${await view.toSVG()}\n`
  } finally {
    view.finalize()
  }
}
