-- Bring a ruleset from one seq to a later one; with no documents, only say how far the log was
-- checked. Answers {word, changed, hash, seq}, the last three as they were before.
-- KEYS: 1 the pointer, 2 meta, 3 documents, 4 index
-- ARGV: 1 generation, 2 epoch, 3 from, 4 hash at from, 5 to, 6 hash at to, 7 seq, 8 channel,
--       9 time of the commit, 10 time of sending this, both only passed on;
--       then name, version and body of each document, the oldest first
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'changed', 'hash', 'seq', 'content')
if redis.call('GET', KEYS[1]) ~= ARGV[1] or meta[1] ~= ARGV[2] then
  return { 'MOVED' }
end
local changed, seq = tonumber(meta[2]), tonumber(meta[4])
local from, to, checked = tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[7])

local function answer(word)
  return { word, meta[2], meta[3], meta[4] }
end

if changed == to and meta[3] ~= ARGV[6] then
  return answer('FORK')
end
if changed >= to then
  if changed == to and seq < checked then
    redis.call('HSET', KEYS[2], 'seq', ARGV[7])
  end
  return answer('DUPLICATE')
end
if changed ~= from then
  return answer('GAP')
end
-- The log was once checked through `seq` and had nothing here: now it has, so it is another log.
if meta[3] ~= ARGV[4] or tonumber(ARGV[12]) <= seq then
  return answer('FORK')
end

local parts = {}
for at = 11, #ARGV, 3 do
  local name, version, body = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  redis.call('HSET', KEYS[3], name, body)
  redis.call('ZADD', KEYS[4], version, name)
  parts[#parts + 1] = cjson.encode(name) .. ':' .. body
end
redis.call('HSET', KEYS[2], 'changed', ARGV[5], 'hash', ARGV[6], 'seq', ARGV[7])
redis.call('SPUBLISH', ARGV[8], table.concat({
  '{"type":"delta","epoch":"', meta[1], '.', meta[5],
  '","from":', ARGV[3], ',"to":', ARGV[5], ',"seq":', ARGV[7],
  ',"hash":"', ARGV[6], '","committedUs":', ARGV[9], ',"sentUs":', ARGV[10],
  ',"documents":{', table.concat(parts, ','), '}}',
}))
return answer('APPLIED')
