;; As `remembers_its_settings`, with an instruction in it that keeps its state
;; from being written back: it is configured in every instance.
(table 1 funcref)
(func (table.set (i32.const 0) (ref.null func)))
(data (i32.const 2048) "\00\00\00\00" "\20\08\00\00" "\01\00\00\00")
(data (i32.const 2080) "\30\08\00\00" "\01\00\00\00")
(data (i32.const 2096) "0")
(func (export "configure") (param i32 i32) (result i32)
  (i32.store8 (i32.const 2096) (i32.add (i32.load8_u (i32.const 2096)) (i32.const 1)))
  (i32.const 0))
(func (export "derive") (param i32) (result i32) (i32.const 2048))
