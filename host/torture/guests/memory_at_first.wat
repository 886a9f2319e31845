;; Asks for 64 MiB of memory from the beginning.
(memory (export "memory") 1024)
