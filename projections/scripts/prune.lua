-- Drop tombstones up to a seq, and say in meta that they may be missing. Answers how many went, or
-- -1 where this is not the active generation.
-- KEYS: 1 the pointer, 2 meta, 3 documents, 4 index
-- ARGV: 1 generation, 2 epoch, 3 the new horizon, then the names of tombstones
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'horizon', 'changed')
if redis.call('GET', KEYS[1]) ~= ARGV[1] or meta[1] ~= ARGV[2] then
  return -1
end
local horizon = math.min(tonumber(ARGV[3]), tonumber(meta[3]))
local gone = 0
for at = 4, #ARGV do
  -- One that was revived since has a later version, and stays.
  local version = redis.call('ZSCORE', KEYS[4], ARGV[at])
  if version and tonumber(version) <= horizon then
    redis.call('HDEL', KEYS[3], ARGV[at])
    redis.call('ZREM', KEYS[4], ARGV[at])
    gone = gone + 1
  end
end
if horizon > tonumber(meta[2]) then
  redis.call('HSET', KEYS[2], 'horizon', string.format('%.0f', horizon))
end
return gone
