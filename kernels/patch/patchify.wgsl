// Cuts pictures [B, C, H, W] into patches [B, gridHeight gridWidth, C P P], elements in the order of a convolution's
// weight (c, y, x); BACKWARD goes from patches to pictures. Host side: patch.ts. Constants: BACKWARD.

// Where the patch item `index` lies in its picture.
fn pictureItem(index: u32) -> u32 {
  var rest = index / params.sizeX;
  let px = index % params.sizeX;
  let py = rest % params.size;
  rest /= params.size;
  let channel = rest % params.channels;
  rest /= params.channels;
  let gx = rest % params.gridWidth;
  rest /= params.gridWidth;
  let gy = rest % params.gridHeight;
  let plane = rest / params.gridHeight * params.channels + channel;
  let row = (plane * params.gridHeight + gy) * params.size + py;
  return (row * params.gridWidth + gx) * params.sizeX + px;
}

fn make(index: u32) {
  if (BACKWARD) {
    y[pictureItem(index)] = x[index];
  } else {
    y[index] = x[pictureItem(index)];
  }
}
