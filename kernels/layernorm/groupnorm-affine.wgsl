// The gradients of gamma and beta of groupnorm: of each channel the sums of dy n and dy over all pictures, n what is normalised, as in
// layernorm-backward.wgsl. A channel is a row of each.wgsl. Host side: groupnorm.ts.

fn takeRows(channel: u32) {
  let group = channel / params.own;
  var forGamma = Wide(0.0);
  var forBeta = Wide(0.0);
  for (var b = 0u; b < params.pictures; b++) {
    let moment = moments[b * params.groups + group];
    let base = (b * params.rows + channel) * params.plane;
    for (var i = lane; i < params.plane; i += WORKERS) {
      let incoming = Wide(dy[base + i]);
      forGamma += incoming * ((Wide(x[base + i]) - moment.x - moment.y) * moment.z);
      forBeta += incoming;
    }
  }
  let sums = vec2f(laneSum(total(forGamma)), laneSum(total(forBeta)));
  if (lane == 0u) {
    dGamma[channel] = sums.x;
    dBeta[channel] = sums.y;
  }
}
