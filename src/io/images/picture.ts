/** An image in memory: eight bits a channel, red, green and blue of a pixel side by side, row by row. */
export interface Picture {
  readonly width: number
  readonly height: number
  /** `height × width × 3` bytes. */
  readonly data: Uint8Array
}

/** A height and a width in pixels. */
export interface PictureSize {
  readonly height: number
  readonly width: number
}

/** A rectangle of a picture, in whole pixels. */
export interface Box extends PictureSize {
  readonly top: number
  readonly left: number
}

/**
 * The pixels of a rectangle that lies within the picture.
 * @example crop(picture, { top: 0, left: 2, height: 8, width: 8 })
 */
export const crop = ({ width, data }: Picture, box: Box): Picture => {
  const row = 3 * box.width
  const cut = new Uint8Array(box.height * row)
  for (let y = 0; y < box.height; y++) {
    const start = 3 * ((box.top + y) * width + box.left)
    cut.set(data.subarray(start, start + row), y * row)
  }
  return { width: box.width, height: box.height, data: cut }
}
