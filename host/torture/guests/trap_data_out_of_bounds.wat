;; Starts with bytes behind its memory.
(data (i32.const 65535) "ab")
