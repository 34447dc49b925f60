-- Make a generation the active one and drop the old. Answers
--   SWAPPED
--   LOST       the generation is not as it was built
--   OVERTAKEN  the active one is of a later epoch, or a newer fold
--   MOVED      the active one is not the one that was compared, or has a later content
--   BEHIND     the active one has checked more of the log
--   LOOK       the active one is not the one whose keys were given
-- KEYS: 1 the pointer, 2 meta, 3 documents, 4 index; 5, 6, 7 those of the active generation, if any
-- ARGV: 1 generation, 2 step, 3 how many documents, 4 content, 5 generation that was compared
--       (empty where there was none), 6 the active generation (empty likewise), 7 channel
local live = redis.call('GET', KEYS[1])
if live == ARGV[1] then
  return 'SWAPPED'
end
if (live or '') ~= ARGV[6] then
  return 'LOOK'
end
local count = tonumber(ARGV[3])
local meta = redis.call('HMGET', KEYS[2], 'step', 'epoch', 'fold', 'changed', 'seq')
if meta[1] ~= ARGV[2] or redis.call('HLEN', KEYS[3]) ~= count
  or redis.call('ZCARD', KEYS[4]) ~= count then
  redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
  return 'LOST'
end

local epoch, fold, seq = tonumber(meta[2]), tonumber(meta[3]), tonumber(meta[5])
if live then
  local other = redis.call('HMGET', KEYS[5], 'epoch', 'fold', 'seq', 'content')
  if other[1] and other[2] and other[3] and other[4] then
    local its_epoch = tonumber(other[1])
    local same = its_epoch == epoch
    if its_epoch > epoch or (same and tonumber(other[2]) > fold) then
      return 'OVERTAKEN'
    end
    if live ~= ARGV[5] or (same and tonumber(other[4]) > tonumber(ARGV[4])) then
      return 'MOVED'
    end
    if same and tonumber(other[3]) > seq then
      return 'BEHIND'
    end
  end
end

redis.call('HSET', KEYS[2], 'content', ARGV[4])
for at = 2, 4 do
  redis.call('PERSIST', KEYS[at])
end
redis.call('SET', KEYS[1], ARGV[1])
if live then
  redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7])
end
redis.call('SPUBLISH', ARGV[7], table.concat({
  '{"type":"swap","epoch":"', meta[2], '.', ARGV[4], '","to":', meta[4], ',"seq":', meta[5], '}',
}))
return 'SWAPPED'
