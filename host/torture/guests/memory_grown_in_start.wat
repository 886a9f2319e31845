;; Takes 64 MiB of memory before there is an instance.
(func $start (drop (memory.grow (i32.const 1024))))
(start $start)
