;; Answers one segment of 10 MiB, in a memory that holds it.
(memory (export "memory") 161)
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\00\10\00\00" "\00\00\a0\00")
(func (export "derive") (param i32) (result i32)
  (memory.fill (i32.const 4096) (i32.const 0x61) (i32.const 0xa00000))
  (i32.const 2048))
