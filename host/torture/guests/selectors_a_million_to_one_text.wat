;; Answers a million selectors that are all one text of 64 KiB: 64 GB to copy.
(memory (export "memory") 160)
(data (i32.const 2048) "\00\00\00\00" "\28\00\00\00" "\01\00\00\00" "\00\10\00\00" "\40\42\0f\00")
(data (i32.const 40) "\30\00\00\00\04\00\00\00good")
(data (i32.const 4096) "\00\00\00\00" "\00\00\01\00")
(func (export "derive") (param i32) (result i32)
  (local $written i32)
  (local.set $written (i32.const 8))
  ;; Each round copies all there is.
  (loop $again
    (memory.copy
      (i32.add (i32.const 4096) (local.get $written))
      (i32.const 4096)
      (local.get $written))
    (local.set $written (i32.shl (local.get $written) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $written) (i32.const 4194304))))
  (i32.const 2048))
