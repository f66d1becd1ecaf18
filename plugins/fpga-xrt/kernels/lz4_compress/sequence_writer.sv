// SPDX-License-Identifier: Apache-2.0
//
// Writes sequences in the LZ4 block format: a token with both lengths, more of the literals' length, the literals, the
// offset, more of the match's length. Up to 8 bytes a cycle; bytes of a length go one by one, for there are 257 at most.
module sequence_writer (
    input logic clk,
    input logic reset,
    input logic begin_block,

    input logic available,
    output logic take,
    input logic last,
    input logic [16:0] literals,
    input logic [16:0] match_bytes,
    input logic [15:0] offset,

    output logic [15:0] literal_byte,
    input logic [63:0] literal_window,  // a cycle later

    input logic room,
    output logic [3:0] count,  // 0: nothing this cycle
    output logic [63:0] data,
    output logic finished  // all of the block was handed over
);
  localparam logic [16:0] MatchBytesMin = 17'd4;
  localparam logic [16:0] InToken = 17'd15;
  localparam logic [16:0] ByteMax = 17'd255;

  typedef enum logic [2:0] {
    Token,
    LiteralLength,
    Literals,
    Offset,
    MatchLength,
    Finished
  } state_e;
  state_e state;

  logic [16:0] position;  // of the next literal
  logic [16:0] left;

  wire [16:0] match_extra = match_bytes - MatchBytesMin;
  wire [3:0] token_literals = literals < InToken ? literals[3:0] : 4'd15;
  wire [3:0] token_match = last ? 4'd0 : match_extra < InToken ? match_extra[3:0] : 4'd15;
  wire [7:0] length_byte = left < ByteMax ? left[7:0] : 8'd255;
  wire length_ends = left < ByteMax;
  wire [3:0] literal_count = left < 17'd8 ? left[3:0] : 4'd8;
  wire literals_end = left <= 17'd8;

  // The window of the cycle to come.
  wire [16:0] position_next =
      state == Literals && room ? position + {13'b0, literal_count} : position;
  assign literal_byte = position_next[15:0];

  assign finished = state == Finished;

  always_comb begin
    count = '0;
    data = '0;
    take = 1'b0;
    if (room) begin
      case (state)
        Token:
        if (available) begin
          count = 4'd1;
          data[7:0] = {token_literals, token_match};
          take = last && literals == '0;
        end
        LiteralLength, MatchLength: begin
          count = 4'd1;
          data[7:0] = length_byte;
          take = state == MatchLength && length_ends;
        end
        Literals: begin
          count = literal_count;
          data  = literal_window;
          take  = last && literals_end;
        end
        Offset: begin
          count = 4'd2;
          data[15:0] = offset;
          take = match_extra < InToken;
        end
        default: ;
      endcase
    end
  end

  always_ff @(posedge clk) begin
    position <= position_next;
    if (reset) begin
      state <= Finished;
      position <= '0;
      left <= '0;
    end else if (begin_block) begin
      state <= Token;
      position <= '0;
    end else if (room) begin
      case (state)
        Token:
        if (available) begin
          left <= literals;
          if (literals >= InToken) begin
            state <= LiteralLength;
            left  <= literals - InToken;
          end else if (literals != '0) state <= Literals;
          else state <= last ? Finished : Offset;
        end
        LiteralLength:
        if (length_ends) begin
          state <= Literals;
          left  <= literals;
        end else left <= left - ByteMax;
        Literals: begin
          left <= left - {13'b0, literal_count};
          if (literals_end) state <= last ? Finished : Offset;
        end
        Offset: begin
          left  <= match_extra - InToken;
          state <= match_extra < InToken ? Token : MatchLength;
        end
        MatchLength: if (length_ends) state <= Token;
        else left <= left - ByteMax;
        default: ;
      endcase
      // The match's bytes are no literals.
      if (take) position <= position_next + match_bytes;
    end
  end
endmodule
