// SPDX-License-Identifier: Apache-2.0
//
// Finds the matches of a block, greedily: the first position whose four bytes stood at the place that the table names
// for their hash is a match, which is made as long as it can be; the search goes on behind it.
//
// Four stages, one position a cycle: 0 reads the bytes at the position; 1 hashes them, and changes the table's entry
// for the position's; 2 reads the bytes at the place of the old entry; 3 compares. A match empties the stages before it,
// so n literals and a match of at most eight bytes take n + 4 cycles; each further eight bytes one, and two at the end.
//
// All stages wait together while the bytes to come are not there or the sequences are not taken: which positions were
// in the table by the time of a match must not depend on how fast memory is.
//
// Entries carry the number of the block that made them, for what comes of a block must not depend on others: an entry
// of another block is none. The table is cleared after a reset and whenever those numbers are used up.
module match_finder #(
    parameter int unsigned HashBits = 14
) (
    input logic clk,
    input logic reset,
    output logic ready,  // begin_block may come
    input logic begin_block,
    input logic [16:0] bytes,  // at most 65536; held until the next block
    input logic [16:0] loaded,  // from the first byte on, at least

    output logic read,  // else the windows stay
    output logic [15:0] current_byte,
    input logic [63:0] current_window,  // a cycle later
    output logic [15:0] earlier_byte,
    input logic [63:0] earlier_window,

    input  logic room,        // for one sequence
    output logic push,
    output logic last,
    output logic [16:0] literals,
    output logic [16:0] match_bytes,  // 0 for the last one
    output logic [15:0] offset
);
  // From the definition of the block format.
  localparam logic [16:0] MatchBytesMin = 17'd4;
  localparam logic [16:0] LiteralsAtEnd = 17'd5;
  localparam logic [16:0] LastStartToEnd = 17'd12;
  localparam int unsigned EpochBits = 8;

  typedef enum logic [2:0] {
    Clear,
    Idle,
    Search,
    Extend,
    Finish
  } state_e;
  state_e state;

  logic [EpochBits+15:0] table_entries[2**HashBits];
  logic [EpochBits+15:0] table_entry;
  logic [EpochBits-1:0] epoch;
  logic [HashBits:0] cleared;

  logic [16:0] next;  // to be read
  logic [16:0] anchor;  // the first byte that is in no sequence yet
  logic s1_valid, s2_valid, s3_valid;
  logic [16:0] s1_position, s2_position, s3_position;
  logic [63:0] s2_window, s3_window;
  logic [15:0] s3_earlier;

  logic [16:0] match_start;
  logic [16:0] match_so_far;
  logic [15:0] match_offset;
  logic extend_read;  // the windows of `match_start + match_so_far` are there
  logic [16:0] extend_next;  // to be read

  // The remainder of the four bytes as a polynomial over GF(2): a few levels of XOR, where a multiplication would not
  // fit in the stage.
  function automatic logic [HashBits-1:0] hash(input logic [31:0] value);
    logic [HashBits-1:0] rest;
    logic carry;
    rest = '0;
    for (int i = 31; i >= 0; i--) begin
      carry = rest[HashBits-1] ^ value[i];
      rest  = {rest[HashBits-2:0], 1'b0} ^ (carry ? HashBits'('h2b5d) : '0);
    end
    return rest;
  endfunction

  function automatic logic [3:0] equal_bytes(input logic [63:0] a, input logic [63:0] b);
    for (int i = 0; i < 8; i++) if (a[8*i+:8] != b[8*i+:8]) return 4'(i);
    return 4'd8;
  endfunction

  function automatic logic there(input logic [16:0] position, input logic [16:0] have,
                                 input logic [16:0] all);
    return have >= all || {1'b0, have} >= {1'b0, position} + 18'd8;
  endfunction

  wire any_start = bytes >= LastStartToEnd + 17'd1;
  wire [16:0] last_start = bytes - LastStartToEnd;
  wire [16:0] match_end_max = bytes - LiteralsAtEnd;

  // Nothing is begun without room for what comes of it: of all that is under way one match at most is used.
  wire to_search = any_start && next <= last_start;
  wire advance = !to_search || (room && there(next, loaded, bytes));

  // Stage 3, and the comparison of an extension: the same windows, and where they stand.
  wire extending = state == Extend;
  wire [16:0] compared = extending ? match_start + match_so_far : s3_position;
  wire [63:0] compared_window = extending ? current_window : s3_window;
  wire [16:0] compared_room = match_end_max - compared;
  wire [3:0] equal = equal_bytes(compared_window, earlier_window);
  wire [16:0] counted = {13'b0, equal} < compared_room ? {13'b0, equal} : compared_room;
  wire more = equal == 4'd8 && compared_room > 17'd8;
  wire hit = state == Search && advance && s3_valid && {13'b0, equal} >= MatchBytesMin;
  wire match_ends = !more && (hit || (extending && extend_read));
  wire [16:0] match_total = extending ? match_so_far + counted : counted;
  wire [16:0] found_start = extending ? match_start : s3_position;
  wire drained = !(s1_valid || s2_valid || s3_valid) && !to_search;
  // The literals of a sequence are there when it is handed over.
  wire finish = state == Finish && room && loaded >= bytes;

  wire issue = state == Search && !hit && to_search && advance;
  wire extend_issue = extending && !match_ends && there(extend_next, loaded, bytes);

  assign ready = state == Idle;
  assign read = extending || advance;
  assign push = match_ends || finish;
  assign last = finish;
  assign literals = finish ? bytes - anchor : found_start - anchor;
  assign match_bytes = finish ? '0 : match_total;
  assign offset = extending ? match_offset : 16'(s3_position - {1'b0, s3_earlier});

  assign current_byte = extending ? extend_next[15:0] : next[15:0];
  assign earlier_byte = extending ? extend_next[15:0] - match_offset : table_entry[15:0];

  // Every eighth position of a long match gets into the table too; its bytes are being read anyway. Not where the match
  // ends: the search goes on there, and would find the position itself.
  wire insert = (s1_valid && advance) || (extending && extend_read && equal == 4'd8);
  wire [15:0] inserted = extending ? compared[15:0] : s1_position[15:0];
  wire [HashBits-1:0] row = hash(current_window[31:0]);

  always_ff @(posedge clk) begin
    if (state == Clear) table_entries[cleared[HashBits-1:0]] <= '0;
    else if (insert) table_entries[row] <= {epoch, inserted};
    if (advance) begin
      table_entry <= table_entries[row];
      s1_position <= next;
      s2_position <= s1_position;
      s2_window   <= current_window;
      s3_position <= s2_position;
      s3_window   <= s2_window;
      s3_earlier  <= table_entry[15:0];
    end

    if (reset) begin
      state <= Clear;
      cleared <= '0;
      epoch <= '0;
      s1_valid <= 1'b0;
      s2_valid <= 1'b0;
      s3_valid <= 1'b0;
      extend_read <= 1'b0;
      next <= '0;
      anchor <= '0;
      match_start <= '0;
      match_so_far <= '0;
      match_offset <= '0;
      extend_next <= '0;
    end else begin
      if (advance) begin
        s1_valid <= issue;
        s2_valid <= s1_valid && !hit;
        s3_valid <= s2_valid && !hit && table_entry[16+:EpochBits] == epoch;
      end
      extend_read <= extend_issue;
      if (issue) next <= next + 17'd1;
      if (extend_issue) extend_next <= extend_next + 17'd8;

      case (state)
        Clear: begin
          cleared <= cleared + 1'b1;
          if (cleared == (HashBits + 1)'(2 ** HashBits - 1)) begin
            state <= Idle;
            epoch <= EpochBits'(1);
          end
        end
        Idle:
        if (begin_block) begin
          state <= Search;
          next <= '0;
          anchor <= '0;
        end
        Search: begin
          if (hit && more) begin
            state <= Extend;
            match_start <= s3_position;
            match_so_far <= 17'd8;
            match_offset <= offset;
            extend_next <= s3_position + 17'd8;
          end else if (drained) state <= Finish;
        end
        Extend: if (extend_read) match_so_far <= match_so_far + 17'd8;
        Finish:
        if (finish) begin
          cleared <= '0;
          epoch <= epoch + 1'b1;
          state <= epoch == '1 ? Clear : Idle;
        end
        default: state <= Clear;
      endcase
      if (match_ends) begin
        state <= Search;
        next <= found_start + match_total;
        anchor <= found_start + match_total;
      end
    end
  end
endmodule
