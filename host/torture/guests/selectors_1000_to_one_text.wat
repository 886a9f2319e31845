;; Answers 1,000 selectors that are all one text of 1 KiB: 8 KB stand for 1 MB.
(data (i32.const 2048) "\00\00\00\00" "\28\00\00\00" "\01\00\00\00" "\00\10\00\00" "\e8\03\00\00")
(data (i32.const 40) "\30\00\00\00\04\00\00\00good")
(data (i32.const 4096) "\00\40\00\00" "\00\04\00\00")
(func (export "derive") (param i32) (result i32)
  (local $written i32)
  (memory.fill (i32.const 16384) (i32.const 0x61) (i32.const 1024))
  (local.set $written (i32.const 8))
  (loop $again
    (memory.copy
      (i32.add (i32.const 4096) (local.get $written))
      (i32.const 4096)
      (local.get $written))
    (local.set $written (i32.shl (local.get $written) (i32.const 1)))
    (br_if $again (i32.lt_u (local.get $written) (i32.const 8192))))
  (i32.const 2048))
