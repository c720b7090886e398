// What gamma has for an item of a row that is a group of params.own channels, each of params.plane items: one number for a channel.

fn channelOf(row: u32, i: u32) -> u32 {
  return byGroups(row).y * params.own + byPlane(i).x;
}

fn scaleOf(row: u32, i: u32) -> Wide {
  return Wide(f32(gamma[channelOf(row, i)]));
}
